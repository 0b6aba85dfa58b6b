FROM scratch AS a
WORKDIR app
WORKDIR more
FROM a AS b
WORKDIR again
FROM scratch AS c
WORKDIR /app
WORKDIR app
FROM scratch AS d
ARG DIR=/x
WORKDIR $DIR/y
FROM scratch AS e
ARG DIR=x
WORKDIR $DIR
FROM scratch AS f
ENV A=b
FROM f
WORKDIR x
