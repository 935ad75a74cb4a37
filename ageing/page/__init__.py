"""The page that `app.py` serves: photos are aged in the browser, on this machine.

server.py     what the page asks for, and the sentences that it gets when something is wrong
guard.py      who may ask: checks of Host and Origin, and the headers that keep the page to itself
sessions.py   the photos of the visitors, apart from each other, for as long as the visit lasts
worker.py     one photo: read, find faces, translate; later written in full size
preview.py    the photo and its changes on the screen's pixels, which the browser adds up
slider.py     the stops of the slider
static/       the page: HTML, CSS and JavaScript, as they are, without a build step
"""
