"""The page on the wall: how lines, cameras and parts do, in a browser; fed by the streams and keys anybody may read."""
