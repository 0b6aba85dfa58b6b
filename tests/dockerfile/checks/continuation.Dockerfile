FROM scratch
LABEL a=b \

  c=d
LABEL e=f \
  # a comment
  g=h
LABEL i=j \
   

  k=l
