"""Small programs as MXNet's users write them, by theme: functions of `mx`, which is MXNet or gluonjax.mx.

Each gives a dict of NumPy's arrays or numbers; `make_programs.py` writes what MXNet gives into a file for each theme. They
draw nothing by `mx` itself, as random numbers differ. The syntax is that of Python 3.8, which MXNet needs.
"""
