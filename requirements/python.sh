#!/bin/sh
# Print the Python to make .venv with: the first of those named, else of those that convlab supports, newest
# first, that runs (a shim of pyenv may not), is new enough and can make environments.
[ $# -gt 0 ] || set -- python3.13 python3.12 python3.11 python3 python
for name; do
  "$name" -c '
import sys, ensurepip, venv
sys.version_info >= (3, 11) or sys.exit(1)
print(getattr(sys, "_base_executable", sys.executable))' 2>/dev/null && exit
done
echo "convlab needs Python 3.11 or newer, with its venv module. Tried: $*. Install one, or: make PYTHON=/path/to/python3" >&2
exit 1
