// Tell when the widgets of a node may have changed: by the mouse in either renderer, or by loading a workflow.

const after = (object, name, refresh) => {
  const before = object[name]
  object[name] = function () {
    const result = before?.apply(this, arguments)
    refresh()
    return result
  }
}

export const whenWidgetsChange = (node, choice, refresh) => {
  after(node, "onWidgetChanged", refresh)
  after(node, "onConfigure", refresh)
  // Nodes 2.0 call only this.
  const widget = node.widgets?.find((widget) => widget.name === choice)
  if (widget) after(widget, "callback", refresh)
}
