# What stdenv's setup does first: the PATH of a derivation is its packages'.
export PATH="$PATH${PATH:+:}/usr/bin:/bin"
export SOURCE_DATE_EPOCH=1
export NIX_BUILD_TOP=/build
export SSL_CERT_FILE=/no-cert-file.crt
