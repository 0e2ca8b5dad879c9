using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;

namespace Abuse.Core;

/// <summary>
/// The meter and the activity source "Abuse.Core", named and measured as OpenTelemetry's conventions have it. Where nobody listens a bio
/// costs one check and takes no timestamp.
/// </summary>
internal static class DeviceTelemetry
{
    private const string Name = "Abuse.Core";

    private static readonly Meter Meter = new(Name);
    private static readonly ActivitySource Activities = new(Name);

    private static readonly Counter<long> Operations = Meter.CreateCounter<long>(
        "abuse.device.operations", "{operation}", "Bios completed, by operation.");

    private static readonly Counter<long> Errors = Meter.CreateCounter<long>(
        "abuse.device.errors", "{operation}", "Bios that failed, by operation and result.");

    private static readonly Counter<long> Bytes = Meter.CreateCounter<long>(
        "abuse.device.io", "By", "Bytes of the bios that succeeded, by operation.");

    private static readonly Histogram<double> Duration = Meter.CreateHistogram(
        "abuse.device.operation.duration",
        "s",
        "From a bio's submission to its completion.",
        tags: null,
        new InstrumentAdvice<double>
        {
            HistogramBucketBoundaries =
                [0.000001, 0.000002, 0.000005, 0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.1, 1, 10],
        });

    private static readonly ConcurrentDictionary<WeakReference<AbuseDevice>, bool> Devices = [];

    static DeviceTelemetry() => Meter.CreateObservableUpDownCounter(
        "abuse.device.in_flight", ObserveInFlight, "{operation}", "Bios pending, by device.");

    /// <summary>Whether anybody wants measurements of single bios.</summary>
    internal static bool IsListening => Operations.Enabled || Errors.Enabled || Bytes.Enabled || Duration.Enabled;

    /// <summary>Whether anybody follows single operations.</summary>
    internal static bool IsTraced => Activities.HasListeners();

    internal static void Add(AbuseDevice device) => Devices.TryAdd(device.Telemetry, true);

    internal static void Remove(AbuseDevice device) => Devices.TryRemove(device.Telemetry, out _);

    /// <summary>Starts an activity, if somebody wants this one. A listener that throws does without it.</summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A listener must not hurt the submitter; the event source has it.")]
    internal static Activity? StartActivity(BioOp op, long offset, long length)
    {
        Activity? outer = Activity.Current;
        try
        {
            Activity? activity = Activities.StartActivity(NameOf(op), ActivityKind.Internal);
            activity?.SetTag("abuse.bio.offset", offset).SetTag("abuse.bio.length", length);
            return activity;
        }
        catch (Exception exception)
        {
            Activity.Current = outer;
            AbuseEventSource.Log.CallbackFailed(exception);
            return null;
        }
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "As above.")]
    internal static void EndActivity(Activity? activity, BioResult result)
    {
        if (activity is null)
        {
            return;
        }

        try
        {
            if (result != BioResult.Ok)
            {
                activity.SetTag("error.type", NameOf(result)).SetStatus(ActivityStatusCode.Error, result.Describe());
            }

            activity.Dispose();
        }
        catch (Exception exception)
        {
            Activity.Current = activity.Parent;
            AbuseEventSource.Log.CallbackFailed(exception);
        }
    }

    /// <summary>
    /// Measures a completed bio. Listeners are code of others: outside locks, and what they throw is kept from the bio's completion, which
    /// follows, and from everybody else's.
    /// </summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "As above.")]
    internal static void Record(BioOp op, long length, BioResult result, TimeSpan duration)
    {
        try
        {
            Measure(op, length, result, duration);
        }
        catch (Exception exception)
        {
            AbuseEventSource.Log.CallbackFailed(exception);
        }
    }

    private static void Measure(BioOp op, long length, BioResult result, TimeSpan duration)
    {
        var operation = new KeyValuePair<string, object?>("abuse.bio.operation", NameOf(op));
        Operations.Add(1, operation);
        if (result == BioResult.Ok)
        {
            Bytes.Add(length, operation);
            Duration.Record(duration.TotalSeconds, operation);
            return;
        }

        var error = new KeyValuePair<string, object?>("error.type", NameOf(result));
        Errors.Add(1, operation, error);
        Duration.Record(duration.TotalSeconds, operation, error);
    }

    private static IEnumerable<Measurement<long>> ObserveInFlight()
    {
        foreach (WeakReference<AbuseDevice> reference in Devices.Keys)
        {
            if (reference.TryGetTarget(out AbuseDevice? device))
            {
                yield return new Measurement<long>(device.QueueSize, new KeyValuePair<string, object?>("abuse.device.number", device.Number));
            }
            else
            {
                Devices.TryRemove(reference, out _);
            }
        }
    }

    /// <summary>Constant strings, so that a measurement allocates none.</summary>
    private static string NameOf(BioOp op) => op switch
    {
        BioOp.Read => "read",
        BioOp.Write => "write",
        BioOp.Flush => "flush",
        BioOp.Discard => "discard",
        _ => "write_zeroes",
    };

    private static string NameOf(BioResult result) => result switch
    {
        BioResult.MediaFailure => "media_failure",
        BioResult.DeviceFailure => "device_failure",
        BioResult.NoSpace => "no_space",
        BioResult.NotSupported => "not_supported",
        BioResult.ReadOnly => "read_only",
        BioResult.OutOfRange => "out_of_range",
        BioResult.QueueFull => "queue_full",
        BioResult.Offline => "offline",
        BioResult.Timeout => "timeout",
        BioResult.Canceled => "canceled",
        _ => "io_error",
    };
}
