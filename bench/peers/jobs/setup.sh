#!/bin/sh
# $1: directory of the virtual environment to make; $PYTHON: interpreter to use
set -e
"${PYTHON:-python3}" -m venv "$1"
"$1/bin/pip" install -q -r "$(dirname "$0")/../../../requirements.txt"
