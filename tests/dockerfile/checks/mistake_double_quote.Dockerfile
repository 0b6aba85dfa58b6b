FROM scratch
USER "root
