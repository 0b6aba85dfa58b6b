FROM scratch
RUNN a \
 b \
 c
