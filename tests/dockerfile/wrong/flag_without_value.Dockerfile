FROM scratch
COPY --chown a /
