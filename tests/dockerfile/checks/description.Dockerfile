# check=experimental=all

# A is described
ARG A=1
# not described
ARG B=2
# B2 first
# more words
ARG B2=2

# far away

ARG C
# base is the base
FROM scratch AS base
# something else
FROM scratch AS other
# no name
FROM scratch
# X and Y
ARG X Y
# Z and Y
ARG X Y
