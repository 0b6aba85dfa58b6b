# check=skip=all;experimental=InvalidDefinitionDescription
FROM scratch AS Upper
CMD x
# nothing
ARG b
