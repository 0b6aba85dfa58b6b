FROM scratch

ENV ALONE
