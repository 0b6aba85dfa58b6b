FROM scratch
HEALTHCHECK --retries=often CMD true
