FROM base
RUN <<EOF
echo "one" $TWO
  # not a comment of the Dockerfile
EOF
RUN <<-'END' cat > /file
		tabs are gone
	END
RUN 3<<A <<"B" python3
first
A
second
B
COPY <<robots.txt <<-"humans.txt" plain /srv/
User-agent: $NAME
robots.txt
	just people
humans.txt
ONBUILD COPY <<E /e
later
E
RUN ["exec", "<<NOT"]
RUN echo $((1<<2))
CMD <<no
