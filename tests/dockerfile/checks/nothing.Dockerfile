ARG VERSION=1

FROM scratch AS build
ARG VERSION
COPY seen.txt /
LABEL version=$VERSION
WORKDIR /work

FROM build
ENTRYPOINT ["/run"]
CMD ["--help"]
EXPOSE 80/tcp
USER 1000
