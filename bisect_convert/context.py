from bisect_convert.report import Context
def context_of(model, graph, op):
    return Context()
