FROM a
RUN one \
  two
ENV a=b

# c1
# c2
CMD x\