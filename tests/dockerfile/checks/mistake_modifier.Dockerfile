FROM scratch
USER ${A^}
