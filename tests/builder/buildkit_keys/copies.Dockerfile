FROM scratch AS tools
WORKDIR /tools/data
COPY --chown=1000:50 a.txt b.txt ./
COPY dir /d/
WORKDIR rel
FROM scratch
ARG NAME=value
WORKDIR /w/
COPY . all/
COPY file-link ./
COPY dir-link /dl
COPY --chmod=640 a.txt /mode/
COPY --chmod=u+x,g-r a.txt /symbolic/.
COPY --chown=0 a.txt /own
COPY --from=tools /d /td/
COPY --from=tools /tools/data/b.txt /tools/data/a.txt /tv/
COPY *.txt /txt/
COPY d*/o?e /both/
COPY nothing* /none/
COPY ["<odd> & 1", "/odd/"]
ADD a.txt /added
ADD archive.tar /unpacked/
ADD --unpack=false archive.tar /packed/
COPY <<ONE <<"TWO" /doc/
hello $NAME
ONE
two $NAME
TWO
COPY --link a.txt /linked
COPY --link --chown=5:6 dir /d/
COPY --link --chmod=600 a.txt /mode
FROM tools
COPY --from=1 /txt /t2
