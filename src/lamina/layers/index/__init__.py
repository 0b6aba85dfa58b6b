"""The layer index: an EROFS image of metadata whose file contents lie in the layer's tar; writer and reader."""
