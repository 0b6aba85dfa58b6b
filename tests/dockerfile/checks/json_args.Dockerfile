FROM scratch AS a
CMD run
ENTRYPOINT run this
FROM scratch AS b
SHELL ["/bin/sh", "-c"]
CMD run
ENTRYPOINT run
FROM b AS c
CMD run
FROM scratch AS d
CMD ["run"]
ENTRYPOINT []
HEALTHCHECK CMD run
RUN run
