FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY requirements.txt .
RUN /venv/bin/pip install -r requirements.txt

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DEBUG=False DATA_DIR=/app/var
WORKDIR /app
RUN useradd --system --home-dir /app jobs && mkdir var keys && chown jobs var keys
COPY --from=build /venv /venv
COPY manage.py ./
COPY task_queue_project task_queue_project
COPY jobs jobs
COPY templates templates
# Reading the settings compiles the translations; the key is for this step alone.
RUN SECRET_KEY=build python manage.py collectstatic --noinput --verbosity 0 && chown -R jobs /app/var
USER jobs
EXPOSE 8000
CMD ["gunicorn", "task_queue_project.wsgi", "--bind=0.0.0.0:8000", "--worker-class=gthread", "--workers=1", "--threads=16", "--keep-alive=10", "--no-control-socket"]
