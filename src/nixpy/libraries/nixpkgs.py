"""Which attribute of nixpkgs has a soname.

The rows have their source: the lists of libraries that a manylinux wheel may expect of the machine
(PEP 513, 571, 599; for PEP 600 the policies of auditwheel, ``policy/manylinux-policy.json``), and
wheels that are known to need more. The attributes are those of nixpkgs (search.nixos.org).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["GLIBC", "OPENED", "TABLE", "Opened", "Row", "attribute_of", "shell_line"]


class Row(NamedTuple):
    """A soname, the attribute whose output has it, and who expects it."""

    soname: str
    attribute: str
    source: str


GLIBC = frozenset(
    {
        *("libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0"),
        *("libutil.so.1", "libresolv.so.2", "libanl.so.1", "libmvec.so.1", "libnsl.so.1"),
        *("ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"),
    }
)
"""What the interpreter's own glibc has (PEP 513): never taken from anywhere else. A ``libnsl`` of
its own is gone from newer ones (glibc 2.26, NEWS)."""

MANYLINUX = "PEP 513, 571, 599"
AUDITWHEEL = "PEP 600, by auditwheel's policies"

TABLE: tuple[Row, ...] = (
    Row("libgcc_s.so.1", "stdenv.cc.cc.lib", MANYLINUX),
    Row("libstdc++.so.6", "stdenv.cc.cc.lib", MANYLINUX),
    Row("libatomic.so.1", "stdenv.cc.cc.lib", AUDITWHEEL),
    Row("libgomp.so.1", "stdenv.cc.cc.lib", "scikit-learn, xgboost built from source"),
    Row("libgfortran.so.5", "gfortran.cc.lib", "scipy built from source"),
    Row("libquadmath.so.0", "gfortran.cc.lib", "scipy built from source"),
    Row("libz.so.1", "zlib", AUDITWHEEL),
    Row("libexpat.so.1", "expat", AUDITWHEEL),
    Row("libncursesw.so.5", "ncurses5", "PEP 513"),
    Row("libpanelw.so.5", "ncurses5", "PEP 513"),
    Row("libX11.so.6", "xorg.libX11", MANYLINUX),
    Row("libXext.so.6", "xorg.libXext", MANYLINUX),
    Row("libXrender.so.1", "xorg.libXrender", MANYLINUX),
    Row("libICE.so.6", "xorg.libICE", MANYLINUX),
    Row("libSM.so.6", "xorg.libSM", MANYLINUX),
    Row("libGL.so.1", "libGL", MANYLINUX),
    Row("libglib-2.0.so.0", "glib", MANYLINUX),
    Row("libgobject-2.0.so.0", "glib", MANYLINUX),
    Row("libgthread-2.0.so.0", "glib", MANYLINUX),
    Row("libgio-2.0.so.0", "glib", "PySide6, PyQt6"),
    Row("libEGL.so.1", "libGL", "PySide6, PyQt6, opencv-python"),
    Row("libOpenGL.so.0", "libGL", "PySide6, PyQt6"),
    Row("libxkbcommon.so.0", "libxkbcommon", "PySide6, PyQt6"),
    Row("libxkbcommon-x11.so.0", "libxkbcommon", "PySide6, PyQt6"),
    Row("libdbus-1.so.3", "dbus.lib", "PySide6, PyQt6"),
    Row("libfontconfig.so.1", "fontconfig.lib", "PySide6, PyQt6"),
    Row("libfreetype.so.6", "freetype", "PySide6, PyQt6, matplotlib"),
    Row("libwayland-client.so.0", "wayland", "PySide6, PyQt6"),
    Row("libwayland-cursor.so.0", "wayland", "PySide6, PyQt6"),
    Row("libwayland-egl.so.1", "wayland", "PySide6, PyQt6"),
    Row("libxcb.so.1", "xorg.libxcb", "PySide6, PyQt6, pillow (ImageGrab)"),
    Row("libX11-xcb.so.1", "xorg.libX11", "PySide6, PyQt6"),
    Row("libxcb-cursor.so.0", "xorg.xcbutilcursor", "PySide6, PyQt6"),
    Row("libxcb-icccm.so.4", "xorg.xcbutilwm", "PySide6, PyQt6"),
    Row("libxcb-image.so.0", "xorg.xcbutilimage", "PySide6, PyQt6"),
    Row("libxcb-keysyms.so.1", "xorg.xcbutilkeysyms", "PySide6, PyQt6"),
    Row("libxcb-render-util.so.0", "xorg.xcbutilrenderutil", "PySide6, PyQt6"),
    Row("libxcb-util.so.1", "xorg.xcbutil", "PySide6, PyQt6"),
    Row("libXi.so.6", "xorg.libXi", "pyglet, glfw"),
    Row("libXrandr.so.2", "xorg.libXrandr", "pyglet, glfw"),
    Row("libXcursor.so.1", "xorg.libXcursor", "glfw"),
    Row("libXinerama.so.1", "xorg.libXinerama", "glfw"),
    Row("libXft.so.2", "xorg.libXft", "tkinter"),
    Row("libXss.so.1", "xorg.libXScrnSaver", "tkinter"),
    Row("libtcl8.6.so", "tcl", "tkinter"),
    Row("libtk8.6.so", "tk", "tkinter"),
    Row("libpq.so.5", "postgresql.lib", "psycopg"),
    Row("libodbc.so.2", "unixODBC", "pyodbc"),
    Row("libsndfile.so.1", "libsndfile.out", "soundfile"),
    Row("libportaudio.so.2", "portaudio", "sounddevice, PyAudio"),
    Row("libasound.so.2", "alsa-lib", "PySide6 (multimedia), simpleaudio"),
    Row("libpulse.so.0", "libpulseaudio", "PySide6 (multimedia)"),
    Row("libzmq.so.5", "zeromq", "pyzmq built from source"),
    Row("libcairo.so.2", "cairo", "cairocffi, pycairo"),
    Row("libpango-1.0.so.0", "pango.out", "weasyprint"),
    Row("libpangocairo-1.0.so.0", "pango.out", "weasyprint"),
    Row("libpangoft2-1.0.so.0", "pango.out", "weasyprint"),
    Row("libharfbuzz.so.0", "harfbuzz", "weasyprint"),
    Row("libgdk_pixbuf-2.0.so.0", "gdk-pixbuf", "cairocffi"),
    Row("libxml2.so.2", "libxml2.out", "lxml built from source"),
    Row("libxslt.so.1", "libxslt.out", "lxml built from source"),
    Row("libjpeg.so.62", "libjpeg.out", "pillow built from source"),
    Row("libpng16.so.16", "libpng", "pillow built from source"),
    Row("libtiff.so.6", "libtiff.out", "pillow built from source"),
    Row("libwebp.so.7", "libwebp", "pillow built from source"),
    Row("libffi.so.8", "libffi", "cffi built from source"),
    Row("libssl.so.3", "openssl.out", "cryptography, psycopg built from source"),
    Row("libcrypto.so.3", "openssl.out", "cryptography, psycopg built from source"),
    Row("libcurl.so.4", "curl.out", "pycurl"),
    Row("libsqlite3.so.0", "sqlite.out", "fiona, pysqlite3"),
    Row("libbz2.so.1", "bzip2.out", "fiona, boost wheels"),
    Row("liblzma.so.5", "xz.out", "python-lzo, fiona"),
    Row("libzstd.so.1", "zstd.out", "zstandard built from source"),
    Row("libnuma.so.1", "numactl", "torch, vllm"),
    Row("libusb-1.0.so.0", "libusb1", "pyusb, libusb1"),
    Row("libudev.so.1", "systemd", "pyudev, hidapi"),
    Row("libmagic.so.1", "file", "python-magic"),
    Row("libzbar.so.0", "zbar.lib", "pyzbar"),
    Row("libopus.so.0", "libopus", "opuslib, discord.py"),
    Row("libenchant-2.so.2", "enchant", "pyenchant"),
)
"""Every soname that is known, each with its source."""


class Opened(NamedTuple):
    """Sonames that a distribution opens by name (``dlopen(3)``), so that no ELF file tells."""

    distribution: str
    sonames: tuple[str, ...]
    source: str


OPENED: tuple[Opened, ...] = (
    Opened("cairocffi", ("libcairo.so.2",), "cairocffi/__init__.py"),
    Opened("opuslib", ("libopus.so.0",), "opuslib/api/__init__.py"),
    Opened("psycopg", ("libpq.so.5",), "psycopg/pq/misc.py, where there is no psycopg-binary"),
    Opened("pyenchant", ("libenchant-2.so.2",), "enchant/_enchant.py"),
    Opened("pyglet", ("libGL.so.1", "libX11.so.6"), "pyglet/libs/x11, pyglet/gl/lib_glx.py"),
    Opened("pyopengl", ("libGL.so.1",), "OpenGL/platform/glx.py"),
    Opened("python-magic", ("libmagic.so.1",), "magic/loader.py"),
    Opened("pyudev", ("libudev.so.1",), "pyudev/_ctypeslib/utils.py"),
    Opened("pyusb", ("libusb-1.0.so.0",), "usb/backend/libusb1.py"),
    Opened("pyzbar", ("libzbar.so.0",), "pyzbar/zbar_library.py"),
    Opened("sounddevice", ("libportaudio.so.2",), "sounddevice.py"),
    Opened("soundfile", ("libsndfile.so.1",), "soundfile.py, where the wheel brings none"),
    Opened(
        "weasyprint",
        (
            *("libgobject-2.0.so.0", "libpango-1.0.so.0", "libpangoft2-1.0.so.0"),
            *("libharfbuzz.so.0", "libfontconfig.so.1"),
        ),
        "weasyprint/text/ffi.py",
    ),
)
"""Distributions that are known for it, by their normalised names (PEP 503)."""

_BY_SONAME = {row.soname: row.attribute for row in TABLE}


def attribute_of(soname: str) -> str | None:
    """Return the attribute of nixpkgs whose output has a soname; ``None`` for an unknown one."""
    return _BY_SONAME.get(soname)


def shell_line(attributes: Iterable[str]) -> str:
    """Return the line for ``mkShell`` in a flake that makes the libraries found."""
    names = " ".join(f"pkgs.{name}" for name in dict.fromkeys(attributes))
    return f"LD_LIBRARY_PATH = pkgs.lib.makeLibraryPath [ {names} ];"
