arg A
arg B
arg C
FROM scratch
LABEL a=b
