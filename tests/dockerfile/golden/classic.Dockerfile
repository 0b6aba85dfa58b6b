# A comment, and the classic instructions one by one
ARG BASE=debian:12
ARG A B=2 C="three words"
FROM ${BASE} AS Build
MAINTAINER Some One <one@example.org>
LABEL "com.example.vendor"="ACME Incorporated" version='1.0' multi="a \
b"
LABEL legacy the rest of it
ENV PATH=/opt/bin:$PATH NAME="John Doe" DOG=Rex\ The\ Dog
ENV legacy   has  inner   gaps
RUN echo a && \
    # a comment inside
    echo b \

    && echo c
RUN ["echo", "exec \"form\""]
CMD ["nginx", "-g", "daemon off;"]
ENTRYPOINT exec top -b
EXPOSE 443 80/tcp 53/udp
ADD a.tar.gz https://example.org/x /dest/
COPY ["with space", "/to here/"]
COPY --chown=55:mygroup --chmod=0644 files* /somedir/
VOLUME /data /more
VOLUME ["/json data"]
USER patrick:staff
WORKDIR relative path
ONBUILD RUN echo later
STOPSIGNAL SIGKILL
HEALTHCHECK --interval=5m --timeout=3s --start-period=1.5s --retries=4 CMD curl -f http://localhost/ || exit 1
HEALTHCHECK NONE
HEALTHCHECK CMD ["true"]
SHELL ["/bin/bash", "-c"]
from scratch
cmd []
entrypoint []
