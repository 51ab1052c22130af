"""The live studio: a browser page in which start, goal and obstacles are dragged and certified motions appear."""
