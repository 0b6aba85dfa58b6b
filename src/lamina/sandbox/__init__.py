"""The one recipe that makes an image and a spec a running task: root, /etc files, user, limits, network, mounts."""
