FROM scratch
USER --fast root
