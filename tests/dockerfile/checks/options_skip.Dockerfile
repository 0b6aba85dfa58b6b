# check=skip=StageNameCasing, JSONArgsRecommended
FROM scratch AS Upper
CMD x
WORKDIR y
