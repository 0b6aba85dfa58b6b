ARG A
ARG B=scratch
ARG C=
ARG D=Upper
FROM ${A:-scratch} AS a
FROM ${B} AS b
FROM scratch${C} AS c
FROM ${B:+scratch} AS d
