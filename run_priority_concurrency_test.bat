@echo off
rem Runs from any folder; uses the virtual environment when there is one; passes arguments and the exit code on.
setlocal
chcp 65001 >nul
set PYTHONUTF8=1
pushd "%~dp0"
set "PYTHON=python"
if exist "venv\Scripts\python.exe" set "PYTHON=venv\Scripts\python.exe"
if exist ".venv\Scripts\python.exe" set "PYTHON=.venv\Scripts\python.exe"
"%PYTHON%" manage.py test_priority_concurrency %*
set "CODE=%ERRORLEVEL%"
popd
exit /b %CODE%
