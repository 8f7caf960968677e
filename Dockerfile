# Two images from one file: `--target web` without torch, `--target worker` with it (`docker build --target …`).
FROM python:3.11-slim AS base
# Everything is compiled here, once: a container that starts again would else compile it each time.
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy EVALHUB_HOME=/state \
    PATH=/app/.venv/bin:$PATH
WORKDIR /app
RUN useradd --system --create-home evalhub && mkdir /state && chown evalhub /state \
    && python -m venv .venv && .venv/bin/pip install --no-cache-dir 'uv>=0.8'
# What is installed changes more rarely than the source, so it is a layer of its own.
COPY pyproject.toml requirements.txt README.md LICENSE package.json package-lock.json .npmrc ./
RUN mkdir evalhub raters metrics && touch evalhub/__init__.py raters/__init__.py metrics/__init__.py \
    && uv pip install --no-cache -c requirements.txt -e '.[server]' && npm ci --no-audit
COPY . .
RUN .venv/bin/python -m evalhub.translations && .venv/bin/python -m compileall -q evalhub raters metrics

FROM base AS worker
RUN uv pip install --no-cache -c requirements.txt -e '.[worker]'
USER evalhub
VOLUME /state
CMD ["celery", "--app", "evalhub.celery", "worker", "--queues", "gpu", "--concurrency", "1", \
     "--without-gossip", "--without-mingle", "--loglevel", "INFO"]

FROM base AS web
USER evalhub
VOLUME /state
EXPOSE 8000
CMD ["gunicorn", "evalhub.wsgi", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", "--keep-alive", "75", "--workers", "2", \
     "--threads", "8", "--timeout", "120", "--preload", "--no-control-socket"]
