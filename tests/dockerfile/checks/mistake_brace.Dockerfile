FROM scratch
USER ${
