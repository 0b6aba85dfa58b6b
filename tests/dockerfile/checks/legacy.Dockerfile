FROM scratch
ENV a b
ENV a b=c
LABEL x y z
env c=d e=f
LABEL g="h i"
ENV n=
