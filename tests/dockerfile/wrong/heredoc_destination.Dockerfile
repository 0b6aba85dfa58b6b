FROM scratch
COPY a <<E
x
E
