export UV_PYTHON=/usr/bin/python3 UV_PYTHON_DOWNLOADS=never AFTER=yes
