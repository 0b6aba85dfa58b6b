FROM scratch
COPY folder /
COPY folder/file /
COPY ./folder/../seen.txt /
COPY ./hidden.md /
