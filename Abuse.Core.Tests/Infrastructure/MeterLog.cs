using System.Diagnostics.Metrics;
using System.Globalization;

namespace Abuse.Core.Tests;

/// <summary>What the meter says while this lives, a line a measurement: instrument, value, tags.</summary>
internal sealed class MeterLog : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly List<string> _lines = [];

    /// <param name="only">The instrument to listen to; null for all.</param>
    internal MeterLog(string? only = null)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == "Abuse.Core" && (only is null || instrument.Name == only))
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Add(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Add(instrument, value, tags));

        // The instruments are there once somebody has made a device.
        new AbuseModule().Dispose();
        _listener.Start();
    }

    /// <summary>The lines since this was asked last, without the common part of the names.</summary>
    internal string[] Take()
    {
        lock (_lines)
        {
            string[] lines = [.. _lines];
            _lines.Clear();
            return lines;
        }
    }

    /// <summary>As <see cref="Take"/>, after asking what has to be asked for.</summary>
    internal string[] Observe()
    {
        _listener.RecordObservableInstruments();
        return Take();
    }

    public void Dispose() => _listener.Dispose();

    private void Add<T>(Instrument instrument, T value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        string line = string.Create(CultureInfo.InvariantCulture, $"{instrument.Name["abuse.device.".Length..]} {value}");
        foreach (KeyValuePair<string, object?> tag in tags)
        {
            line += string.Create(CultureInfo.InvariantCulture, $" {tag.Key}={tag.Value}");
        }

        lock (_lines)
        {
            _lines.Add(line);
        }
    }
}
