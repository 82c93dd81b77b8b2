"""``lockstep venue``: a local exchange over stored bars, which an unmodified CCXT client trades against."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli.options import AsJson, StorePath, number_pairs, open_store


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("venue")(venue)


def _list_faults(wanted: bool) -> None:
    """Print the table of faults and end."""
    if wanted:
        from engine.venue.faults.table import listing

        print(listing())
        raise typer.Exit


def venue(
    data: Annotated[
        list[str],
        typer.Option(metavar="SOURCE", help="Stored bars, as in binance:BTC/USDT:1h; may be given again."),
    ],
    protocol: Annotated[
        str, typer.Option(metavar="NAME", help="binance (spot), binanceusdm, okx or coinbase.")
    ] = "binance",
    speed: Annotated[
        float | None, typer.Option(metavar="N", help="Seconds of market time a second, as in 3600.", show_default=False)
    ] = None,
    lockstep: Annotated[bool, typer.Option("--lockstep", help="Play a bar only when the client asks for it.")] = False,
    start: Annotated[
        str | None, typer.Option(metavar="DATE", help="Play from here; earlier bars are history. Else from the first.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="P", help="0: a free one.")] = 0,
    key: Annotated[str, typer.Option(metavar="TEXT", help="API key of the one account.")] = "local",
    secret: Annotated[
        str, typer.Option(envvar="LOCKSTEP_VENUE_SECRET", metavar="TEXT", help="Its secret.", show_default=False)
    ] = "local",
    cash: Annotated[float, typer.Option(min=0, help="What the account has of the first quote currency.")] = 10_000.0,
    costs: Annotated[
        str | None, typer.Option(metavar="NAME=VALUE,...", help="As in fee=0.001,slippage=0,quantity_step=0.00001.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:times=N,...]",
            help="What goes wrong, as in server_error:probability=0.01,times=0; may be given again.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="What the chance of faults is drawn from.")] = 0,
    list_faults: Annotated[
        bool,
        typer.Option("--list-faults", callback=_list_faults, is_eager=True, help="Print all kinds of faults and end."),
    ] = False,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Run a local exchange over stored bars that speaks the protocol of Binance, OKX or Coinbase.

    Orders sent after a close fill at the next open; stops, targets and limits within the range of a bar, as in the
    simulation.  The book and the public trades are made from the bars.

    \b
    Example:
      lockstep venue --data binance:BTC/USDT:1h --lockstep --port 8899
      lockstep venue --data binance:BTC/USDT:1h --start 2023-01-01 --speed 3600
      lockstep venue --data binance:BTC/USDT:1h --lockstep --fault stream_dropped --fault candle_late:times=3
    """
    import asyncio
    import contextlib
    import sys
    from json import dumps

    from engine.simulate import Costs
    from engine.venue.core import Venue
    from engine.venue.faults import Faults
    from engine.venue.market import Market
    from engine.venue.server import Server, play
    from parquet_store import Series
    from parquet_store.errors import Usage
    from pipelines import load_bars

    if lockstep == (speed is not None):
        raise Usage("venue: found both or neither of --lockstep and --speed, expected one of them")
    if speed is not None and not speed > 0.0:
        raise Usage(f"--speed: found {speed:g}, expected a number above 0, as in --speed 3600")
    faults = Faults(seed)
    for text in fault or ():
        faults.arm_text(text)
    stored = open_store(store)
    rules = Costs.from_json(number_pairs(costs, "--costs", "fee=0.001")) if costs else Costs()
    series = {Market.of(Series.parse(source).symbol, rules): load_bars(stored, source) for source in data}
    begin = 0
    if start is not None:
        counts = {len(bars) - len(load_bars(stored, bars.source, start)) for bars in series.values()}
        if len(counts) != 1:
            raise Usage(f"--start {start}: the series have different numbers of bars before it: run one venue for each")
        begin = counts.pop()
    exchange = Venue(series, history=begin)
    exchange.open_account(key, secret, {next(iter(series)).quote: cash})

    async def run() -> None:
        async with Server(exchange, protocol=protocol, port=port, lockstep=lockstep, faults=faults) as server:
            urls = {"rest": server.rest_url, "stream": server.stream_url}
            if json:
                print(dumps(urls | {"control": server.control_url}), flush=True)
            else:
                print(_how_to_point(protocol, server.rest_url, server.stream_url), flush=True)
            told = sys.stderr if json else sys.stdout
            if speed is None:
                print(
                    f"control  POST {server.control_url}/open, /close or /release   (Ctrl-C ends it)",
                    file=told,
                    flush=True,
                )
                await asyncio.Event().wait()
            else:
                await play(exchange, speed, server.control)
                print("all bars are played", file=told, flush=True)

    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(run())


def _how_to_point(protocol: str, rest: str, stream: str) -> str:
    venue, market = {
        "binanceusdm": ("binance", "perpetual"),
        "okx": ("okx", "perpetual"),
    }.get(protocol, (protocol, "spot"))
    return f"""REST     {rest}
streams  {stream}

In a bot's settings:
  [venue]
  name = "{venue}"
  market = "{market}"
  rest_url = "{rest}"
  stream_url = "{stream}"
"""
