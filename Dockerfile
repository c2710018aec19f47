# docker build -t posenet . && docker run --rm -v "$PWD:/work" posenet train
FROM python:3.12-slim
# OpenCV needs both libraries.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN pip install --no-cache-dir "/source[capture,onnx,heic,hub,remote]" && rm -rf /source
# Files in /work belong to this user; with another one: docker run --user "$(id -u)".
RUN useradd --create-home --uid 1000 posenet
USER posenet
ENV POSENET_CACHE=/tmp/posenet
WORKDIR /work
ENTRYPOINT ["posenet"]
