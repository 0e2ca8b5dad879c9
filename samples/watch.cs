#:project ../Abuse.Core/Abuse.Core.csproj

// Live numbers of a device, from its meter and its activity source, as any monitoring would take them. Runs three seconds.
//
//     dotnet run samples/watch.cs
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Abuse.Core;

const int Sector = 512;

// What was heard: sums by instrument and operation.
var sums = new ConcurrentDictionary<(string Instrument, string Operation), double>();
long pending = 0;
string slowest = "";
double slowestMs = 0;

// 1. The meter "Abuse.Core". Callbacks run on the thread that completed the bio, so they are short.
using var meter = new MeterListener
{
    InstrumentPublished = (instrument, listener) =>
    {
        if (instrument.Meter.Name == "Abuse.Core")
        {
            listener.EnableMeasurementEvents(instrument);
        }
    },
};
meter.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
{
    if (instrument.Name == "abuse.device.in_flight")
    {
        pending = value;
    }
    else
    {
        Add(instrument.Name, tags, value);
    }
});
meter.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Add(instrument.Name, tags, value));
meter.Start();

// 2. The activity source "Abuse.Core": one activity for each bio of a BlockClient. Here: the slowest.
var slow = new Lock();
using var activities = new ActivityListener
{
    ShouldListenTo = source => source.Name == "Abuse.Core",
    Sample = (ref _) => ActivitySamplingResult.AllData,
    ActivityStopped = activity =>
    {
        lock (slow)
        {
            if (activity.Duration.TotalMilliseconds > slowestMs)
            {
                slowestMs = activity.Duration.TotalMilliseconds;
                slowest = $"{activity.OperationName} of {activity.GetTagItem("abuse.bio.length")} bytes "
                    + $"at {activity.GetTagItem("abuse.bio.offset")}, {slowestMs:0.0} ms, {activity.Status}";
            }
        }
    },
};
ActivitySource.AddActivityListener(activities);

// 3. Something to watch: four submitters on a disk with one bad sector, served through a channel.
await using var target = new BadSector(badOffset: 77 * Sector);
await using AbuseDevice device = AbuseDevice.Create(target.Geometry);
using BioServer server = device.Control.Serve(target, concurrency: 2);
using var end = new CancellationTokenSource(TimeSpan.FromSeconds(3));
Task load = Task.WhenAll(Enumerable.Range(0, 4).Select(seed => Task.Run(() => SubmitAsync(new BlockClient(device), seed))));

Console.WriteLine($"{"reads/s",8} {"writes/s",8} {"MiB/s",7} {"mean us",8} {"failed",7} {"pending",8}");
double lastReads = 0, lastWrites = 0, lastBytes = 0;
for (long last = Stopwatch.GetTimestamp(); !load.IsCompleted;)
{
    await Task.WhenAny(load, Task.Delay(500));
    meter.RecordObservableInstruments();
    double seconds = Stopwatch.GetElapsedTime(last).TotalSeconds;
    last = Stopwatch.GetTimestamp();
    double reads = Sum("abuse.device.operations", "read"), writes = Sum("abuse.device.operations", "write");
    double bytes = Sum("abuse.device.io", "read") + Sum("abuse.device.io", "write");
    double duration = Sum("abuse.device.operation.duration", "read") + Sum("abuse.device.operation.duration", "write");
    double failed = Sum("abuse.device.errors", "read") + Sum("abuse.device.errors", "write");
    Console.WriteLine($"{(reads - lastReads) / seconds,8:0} {(writes - lastWrites) / seconds,8:0} "
        + $"{(bytes - lastBytes) / seconds / (1 << 20),7:0} {duration / Math.Max(1, reads + writes) * 1e6,8:0} {failed,7} {pending,8}");
    (lastReads, lastWrites, lastBytes) = (reads, writes, bytes);
}

await load;
Console.WriteLine($"slowest: {slowest}");

void Add(string instrument, ReadOnlySpan<KeyValuePair<string, object?>> tags, double value)
{
    string operation = "";
    foreach ((string key, object? tag) in tags)
    {
        operation = key == "abuse.bio.operation" ? (string)tag! : operation;
    }

    sums.AddOrUpdate((instrument, operation), value, (_, sum) => sum + value);
}

double Sum(string instrument, string operation) => sums.GetValueOrDefault((instrument, operation));

async Task SubmitAsync(BlockClient disk, int seed)
{
    var random = new Random(seed);
    byte[] buffer = new byte[8 * Sector];
    while (!end.IsCancellationRequested)
    {
        long offset = random.Next(0, 4096) * (long)Sector;
        _ = random.Next(2) == 0 ? await disk.TryReadAsync(offset, buffer) : await disk.TryWriteAsync(offset, buffer);
    }
}

// A layer over memory that fails every bio which touches one sector.
internal sealed class BadSector(long badOffset) : BlockTarget
{
    private readonly MemoryTarget _memory = new(16 << 20);

    public override BlockGeometry Geometry => _memory.Geometry;

    public override BioResult Execute(in BioHead bio, BioSpans data) =>
        bio.Offset <= badOffset && badOffset < bio.Offset + bio.Length ? BioResult.MediaFailure : _memory.Execute(bio, data);

    public override async ValueTask DisposeAsync()
    {
        await _memory.DisposeAsync();
        await base.DisposeAsync();
    }
}
