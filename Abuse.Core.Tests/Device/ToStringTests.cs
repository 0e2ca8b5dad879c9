using System.Text.RegularExpressions;
using System.Threading.Channels;
using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What a person reads in a debugger, a log or a stack trace: words and numbers, no names of types that the runtime made up.</summary>
[TestFixture]
public sealed partial class ToStringTests
{
    private AbuseDevice _device = null!;
    private BioChannel _channel = null!;
    private BioRequest _request;
    private Task<BioResult> _read = null!;

    [SetUp]
    public void Create()
    {
        _device = AbuseDevice.Create(new BlockGeometry(1 << 20) { Features = BlockFeatures.Flush });
        _channel = _device.Control.OpenChannel();
        _read = _device.SubmitAsync(Bio.Read(1024, new byte[512])).AsTask();
        Assert.That(_channel.Reader.TryRead(out _request));
    }

    [TearDown]
    public async Task Dispose()
    {
        _channel.Dispose();
        await _device.DisposeAsync();
        await _read.InTime();
        _read.Dispose();
    }

    [Test]
    public async Task Every_public_type_says_what_it_is_and_no_type_of_the_runtimes()
    {
        await using UblkRig rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        var made = new UblkDeviceInfo(new UblkDevInfo { Queues = 1, QueueDepth = 4, Id = 3 }, default, isServed: false);
        using BioServer server = _device.Control.Serve(new NullTarget(512));
        using BioAttachment attachment = _device.Attach(new MemoryTarget(1 << 20));
        using var module = new AbuseModule();
        BlockRecorder recorder = await BlockRecorder.StartAsync(new MemoryTarget(4096));
        new TargetCaller(recorder, TargetPath.MayBlock).Write(512, new byte[512]);
        recorder.Mark("here");
        BlockTrace trace = recorder.Stop();
        CrashState? state = null;
        CrashReport report = await CrashExplorer.ExploreAsync(trace, one =>
        {
            state = one;
            return new(CrashVerdict.SilentWrong("no"));
        }, new CrashExplorerOptions { Workers = 1 });
        await using SimulatedDirectory directory = await SimulatedDirectory.CreateAsync(new SimulatedDisk(1 << 20));
        using SimulatedFile simulatedFile = directory.OpenFile("a", FileMode.CreateNew);
        using var file = new TempFile();
        FileTarget onFile = FileTarget.Create(file.Path, 4096);
        var memory = new UserMemoryMap();
        memory.Map(4096, new byte[100]);
        FlushAuditReport audit = await FlushAudit.RunAsync(
            FuaTrace(), static state => new(state.Id[0] == 'x' ? CrashVerdict.SilentWrong("no") : CrashVerdict.Recovered), new CrashExplorerOptions { Workers = 1 });
        var oracle = new KeyedOracle<string, int>(await BlockRecorder.StartAsync(new MemoryTarget(4096)));
        var remote = new RemoteRig(_device, RemoteLinkKind.Pipes);
        (object Value, string Part)[] all =
        [
            (audit, "1 flushes in "), (audit.Flushes[0], "FUA 0: needed (1 states); x0:"), (report.Failure!.Crashes[0], "0 writes lost, 0 landed"),
            (oracle, "oracle of 0 operations on 0 keys, Durable"), (new KeyedOracle<string, int>(recorder).BeginPut("k", 1), "a change of \"k\", in flight"),
            (KeyedContent.Of(5), "\"5\""), (new SectorOracle(trace), "oracle of 1 bios"),
            (_device, "abuse0: 1 MiB, 512 B blocks"), (_device.Control, "control of abuse0"), (_channel, "channel that takes None"),
            (_request, "Read 512 bytes at 1024 (bio 512)"), (_request.Head, "Read 512 bytes at 1024 (bio 512)"), (new BioAnswer(_request, BioResult.Ok), "Result = Ok"),
            (server, "server of NullTarget"), (attachment, "MemoryTarget, attached"), (module, "abuse module, 8 devices"),
            (new AbuseModuleOptions(), "max_abuse 0, max_part 0"), (new AbuseDeviceOptions(), "max_queue 128, 64 MiB"), (new BioChannelOptions(), "ByteBudget = 67108864"),
            (Bio.Write(512, new byte[512], fua: true), "Write 512 bytes at 512, FUA"), (Bio.Flush(), "Flush"), (default(Bio), "Read 0 bytes at 0"),
            (default(BioRequest), "no request"), (default(BioAnswer), "no request"), (default(BioHead), "Read 0 bytes at 0"),
            (new BlockClient(_device), "client of abuse0"), (new BlockClient(_device, new BlockPartition(2, 512, 1024)), "client of partition 2: 1 KiB at 512 of abuse0"),
            (new BlockStream(_device), "stream at 0 of 1048576 bytes"), (new BlockPartition(1, 0, 512), "partition 1: 512 B at 0"),
            (new BlockExtent(0, 512, true), "IsHole = True"), (new BlockGeometry(1 << 20), "1 MiB, 512 B blocks"),
            (new MemoryTarget(1 << 20), "MemoryTarget, 1 MiB"), (new NullTarget(1 << 20), "NullTarget, 1 MiB"), (onFile, "FileTarget, 4 KiB"),
            (new ScriptedTarget { Shape = static () => null }, "ScriptedTarget"), (new FileTargetOptions(), "Concurrency = 32"),
            (memory, "1 regions, 100 bytes"), (new AbuseInfo(), ""), (new AbuseTransferHeader(), ""), (new AbuseVector(), ""),
            (rig.Disk, "/dev/ublkb0: ublk0: 1 MiB"), (rig.Disk.Plan, "ublk0: 1 MiB"), (rig.Disk.GetStatistics(), "0 errors"), (made, "/dev/ublkb3: Dead"),
            (new NbdExport(_device, "a"), "\"a\": abuse0: "), (NbdServer.Create([new NbdExport(_device)]), "NBD server at no address: 0 connections, 0 requests"),
            (new NbdServerOptions(), "1024 connections of 256 requests of 32 MiB, 64 MiB in flight"), (new NbdStatistics(), "0 connections, 0 requests, 0 errors, 0 B read, 0 B written"),
            (new NbdDisconnect { Client = "c", Export = "e", Reason = DisconnectReason.Idle, Detail = "d" }, "c on \"e\": Idle: d"),
            (RemoteControlServer.Create(_device), "control of abuse0: "), (new RemoteControlServerOptions(), "256 connections of 512 bios of 64 MiB"),
            (new RemoteStatistics(), "0 connections, 0 bios answered"), (new RemoteDisconnect { Peer = "p", Reason = DisconnectReason.Idle, Detail = "d" }, "p: Idle: d"),
            (new RemoteControlOptions(), "128 bios of 64 MiB in flight, takes None"), (await remote.ConnectAsync(), "remote control of abuse0: "),
            (new UblkOptions(), "1 x 128 requests of 512 KiB, Copy, recovery None"), (new UblkException("m"), "m"),
            (FaultPlan.None, "no faults"), (FaultRule.OnAny().Fail(), "add,op=ANY,status=IOERR"), (FaultTape.Parse("1:2@3"), "1:2@3"),
            (LatencyDistribution.Fixed(TimeSpan.FromMilliseconds(1)), "1000 to 1000 µs"), (DiskLatency.Hdd, "HDD, 1 at a time"),
            (new SimulatedDiskOptions(), "seed 0, without a clock, no faults"), (new SimulationOptions { TraceDirectory = null }, "Strict, recorded"),
            (new SimulationResult { Seed = 3 }, "seed 3"), (new SimulationException("said"), "said"),
            (new BlockSimulation(1, new SimulationLoop(new SimulationOptions()), new SimulationOptions(), null), "simulated run with seed 1"),
            (new InjectedFault { Id = 3, Effect = FaultEffect.Lost, Op = BioOp.Write, Length = 512, DamagedOffset = 0, DamagedLength = 512 }, "fault 3: Lost by rule 0 at 0 ms, Write 512 bytes at 0, bytes 0 to 511 wrong"),
            (new SimulatedDisk(1 << 20), "SimulatedDisk, 1 MiB"), (DiskProfile.Nvme, "Nvme, 16384 B whole, 256 MiB of volatile cache"),
            (PowerLoss.Random(7), "Random(7)"), (recorder, "BlockRecorder of MemoryTarget"), (new BlockRecorderOptions(), "at most 2 GiB"),
            (trace, "1 bios in 3 events, 4 KiB"), (trace[0], "0: Write 512 bytes at 512, Ok"), (trace.Marks[0], "Text = here"),
            (report, "1 crash states in "), (report.Failure!, "c0:e0: SilentWrong: no"), (report.Failure!.Verdict, "SilentWrong: no"), (state!, "c0:e0"),
            (new CrashExplorerOptions { Workers = 1 }, "100,000 states at most, 1 at once, with a volatile cache"), (default(CrashProgress), "0 states, 0 duplicates"),
            (new SimulationReportOptions { Title = "t" }, "\"t\", 0 notes, with a volatile cache"), (new CrashFailureException("m"), "m"),
            (directory, "directory of 1 files, Ordered, "), (simulatedFile, "file \"a\" at 0 of 0 bytes"), (new SimulatedDirectoryOptions(), "Ordered, KeepsContent"),
            (new TraceFormatException("m"), "m"),
            (new AbuseException("m"), "m"), (new AnswerRefusedException("m"), "m"), (new BlockIOException("m"), "m"),
        ];
        foreach ((object value, string part) in all)
        {
            string text = value is Exception exception ? exception.Message : value.ToString()!;
            Assert.That(text, Does.Contain(part), value.GetType().Name);
            Assert.That(text, Is.Not.Empty.And.Not.Match(TypeName()), value.GetType().Name);
        }

        await onFile.DisposeAsync();
        Assert.That(onFile.ToString(), Does.EndWith("closed"));
        Assert.That(new BioSpans(new byte[7]).ToString(), Is.EqualTo("7 bytes in 1 pieces"));
        IEnumerable<Type> said = all.Select(static one => one.Value.GetType() is { IsGenericType: true } type ? type.GetGenericTypeDefinition() : one.Value.GetType());
        Assert.That(Speaking().Except(said).Select(static type => type.Name), Is.Empty, "types that nobody asked here");
    }

    private static BlockTrace FuaTrace()
    {
        BlockRecorder recorder = BlockRecorder.StartAsync(new MemoryTarget(4096)).GetAwaiter().GetResult();
        new TargetCaller(recorder, TargetPath.MayBlock).Write(512, TestBytes.Of(1, 512), fua: true);
        return recorder.Stop();
    }

    [Test]
    public void What_ended_says_so()
    {
        AbuseControl control = _device.OpenControl();
        control.Dispose();
        Assert.That(control.ToString(), Does.EndWith(", closed"));
        BioAttachment attachment = _device.Attach(new NullTarget(512));
        attachment.Dispose();
        Assert.That(attachment.ToString(), Is.EqualTo("NullTarget, detached"));
        BioChannel other = _device.Control.OpenChannel();
        other.Dispose();
        Assert.That(other.ToString(), Is.EqualTo("channel, disposed"));
        _device.Control.Reset();
        Assert.That(_channel.ToString(), Does.Contain("ended"));
        Assert.That(_device.ToString(), Is.EqualTo("abuse0: not configured"));
        _device.Unload();
        Assert.That(_device.ToString(), Is.EqualTo("abuse0: gone"));
    }

    [Test]
    public void Every_exception_says_what_happened_where_and_what_to_do()
    {
        var client = new BlockClient(_device);
        using BioAttachment attachment = _device.Attach(new NullTarget(1 << 20));
        using var module = new AbuseModule(new AbuseModuleOptions { MaxAbuse = 1 });
        BioRequest answered = Answered();
        AbuseControl closed = _device.OpenControl();
        closed.Dispose();
        (Func<object?> Call, string[] Parts)[] all =
        [
            (() => client.BlockSize == 512 ? Run(() => client.Read(1 << 20, new byte[512])) : null, ["Read of 512 bytes at 1048576 failed", "beyond the end", "OutOfRange", "abuse0"]),
            (() => Run(() => client.Read(1, new byte[512])), ["512 bytes at 1", "blocks of 512", "BlockStream takes any range"]),
            (() => _device.SubmitAsync(Bio.Read(5, new byte[512])).AsTask(), ["whole sectors of 512 bytes", "512 bytes at 5"]),
            (() => _device.SubmitAsync(Bio.Read(0, new byte[2 << 20])).AsTask(), ["at most 256 vectors", "not 512", "BlockClient"]),
            (() => _device.Attach(new NullTarget(512)), ["NullTarget is attached", "dispose that attachment first", "Control.Serve"]),
            (() => _device.OpenControl(BlockFeatures.Discard), ["Discard", "open a channel"]),
            (() => _device.Control.OpenChannel(new BioChannelOptions { ByteBudget = 0 }), ["byte budget of at least 1", "not 0"]),
            (() => _device.Control.OpenChannel(new BioChannelOptions { RedeliverAfter = TimeSpan.Zero }), ["at most 40 days", "not 00:00:00"]),
            (() => AbuseDevice.Create(new BlockGeometry(0), new AbuseDeviceOptions { MaxQueue = 513 }), ["1 to 512", "not 513"]),
            (() => new BlockGeometry(513), ["513 bytes", "multiple of 512"]),
            (() => new BlockGeometry(512, 3), ["power of two from 512 to 4096", "3"]),
            (() => new BlockGeometry(512) { Features = (BlockFeatures)64 }, ["Flush, Fua, Discard and WriteZeroes", "64"]),
            (() => new BlockClient(_device, new BlockPartition(1, -512, 512)), ["512 bytes at -512", "whole sectors"]),
            (() => answered.Complete(BioResult.Pending), ["answered with an outcome", "Pending"]),
            (() => answered.Data, ["Read 512 bytes at 1024 (bio 512)", "answered or abandoned"]),
            (() => Run(() => _channel.Writer.WriteAsync(new BioAnswer(answered, BioResult.Ok)).AsTask().GetAwaiter().GetResult()), ["The answer Ok to Read 512 bytes at 1024", "answered or abandoned before"]),
            (() => default(BioRequest).Data, ["default BioRequest"]),
            (() => module.Open(7), ["no abuse7", "ENXIO"]),
            (() => module.OpenControl(7), ["no abctl7", "ENXIO"]),
            (() => new AbuseModule(new AbuseModuleOptions { MaxAbuse = 1 << 21, MaxPart = 3 }), ["2097152 devices of 3 partitions", "2^20", "EINVAL"]),
            (() => BioResults.Describe((BioResult)77), ["77", "BioResult"]),
            (() => Run(() => new BlockStream(_device).SetLength(0)), ["AbuseDevice.Resize"]),
            (() => new BlockStream(_device).Seek(-1, SeekOrigin.Begin), ["-1 bytes from 0", "before the start"]),
        ];
        foreach ((Func<object?> call, string[] parts) in all)
        {
            Exception thrown = Assert.Catch(() => call())!;
            foreach (string part in parts)
            {
                Assert.That(thrown.Message, Does.Contain(part), thrown.GetType().Name);
            }

            Assert.That(thrown.Message, Does.Not.Match(TypeName()));
        }

        Assert.That(() => closed.Poll(), Throws.TypeOf<ObjectDisposedException>().With.Message.Contains("AbuseControl"));
        _channel.Dispose();
        Assert.That(async () => await _channel.Reader.ReadAsync(), Throws.TypeOf<ChannelClosedException>().With.Message.Contains("disposed, or its device was reset"));
    }

    private BioRequest Answered()
    {
        _request.Complete(BioResult.Ok);
        return _request;
    }

    private static object? Run(Action call)
    {
        call();
        return null;
    }

    /// <summary>Public types that one can have a value of.</summary>
    private static IEnumerable<Type> Speaking() => typeof(AbuseDevice).Assembly.GetExportedTypes()
        .Where(static type => type is { IsEnum: false, IsInterface: false, IsAbstract: false, IsByRefLike: false });

    /// <summary>A namespace, an array, a generic or a nested type: what ToString says that nobody wrote.</summary>
    [GeneratedRegex(@"System\.|Abuse\.Core\.|\[\]|`\d|\+\w|Exception of type")]
    private static partial Regex TypeName();
}
