export BEFORE=yes
uv sync --quiet
source .venv/bin/activate
