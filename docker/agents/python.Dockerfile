# The example programs in Python, from the root of the source:
#
#	docker build -f docker/agents/python.Dockerfile -t statsbridge-agents-python .
#	docker run --network=host statsbridge-agents-python agentos --address=127.0.0.1:9125

FROM debian:bookworm-slim AS python
RUN apt-get update && apt-get install -y --no-install-recommends python3 \
	&& apt-get clean && rm -rf /var/lib/apt/lists/* /var/log/*

FROM python AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates python3-pip
COPY tests/clients/python/requirements.txt ./
RUN pip3 install --no-cache-dir --target /packages --constraint requirements.txt datadog statsd

FROM python
COPY --from=build /packages /packages
COPY tests/agents /programs
WORKDIR /programs
ENV PYTHONPATH=/packages PYTHONDONTWRITEBYTECODE=1
USER 65534:65534
ENTRYPOINT ["python3", "-m"]
