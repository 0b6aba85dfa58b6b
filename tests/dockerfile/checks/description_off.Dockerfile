# not described
ARG B=2
FROM scratch
