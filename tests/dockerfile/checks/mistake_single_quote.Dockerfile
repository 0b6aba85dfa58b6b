FROM scratch
USER 'root
