FROM scratch
# check=skip=WorkdirRelativePath
WORKDIR a
# check=skip=JSONArgsRecommended,MultipleInstructionsDisallowed some reason
CMD a
CMD b
