FROM scratch
COPY --link= a /
