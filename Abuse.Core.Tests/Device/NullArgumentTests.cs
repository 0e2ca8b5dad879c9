using System.Reflection;
using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Null where the signature has no question mark, for every parameter of every public method: ArgumentNullException with its name.</summary>
[TestFixture]
[CancelAfter(60_000)]
public sealed class NullArgumentTests
{
    private static readonly AbuseDevice Device = AbuseDevice.Create(new MemoryTarget(1 << 20));

    private static readonly SimulatedDirectory Directory = SimulatedDirectory.CreateAsync(new SimulatedDisk(1 << 20)).GetAwaiter().GetResult();

    /// <summary>Something valid of each type that a call needs beside the null, or to be called on.</summary>
    private static readonly object[] Valid =
    [
        Device, Device.Control, new BlockClient(Device), new BlockStream(Device), new MemoryTarget(4096), new NullTarget(4096),
        new BlockGeometry(4096), new BlockPartition(1, 0, 512), new UserMemoryMap(), "no such file", new byte[512], new AbuseModule(),
        new Memory<byte>[] { new byte[512] }, new ReadOnlyMemory<byte>[] { new byte[512] },
        new BlockTrace(new BlockGeometry(512), new PageStore(512), new TraceLog(), [], 0), BlockRecorder.StartAsync(new MemoryTarget(4096)).GetAwaiter().GetResult(),
        FaultPlan.None, FaultRule.OnAny(), new SimulatedDisk(4096), new BlockSimulation(1, new SimulationLoop(new SimulationOptions()), new SimulationOptions(), null),
        (Func<BlockSimulation, Task>)(static _ => Task.CompletedTask),
        (Func<CrashState, ValueTask<CrashVerdict>>)(static _ => new(CrashVerdict.Recovered)),
        Directory, Directory.OpenFile("a", FileMode.CreateNew),
        new KeyedOracle<string, string>(BlockRecorder.StartAsync(new MemoryTarget(4096)).GetAwaiter().GetResult()).Begin(), (Func<Task>)(static () => Task.CompletedTask),
        new KeyedOracle<string, string>(BlockRecorder.StartAsync(new MemoryTarget(4096)).GetAwaiter().GetResult()),
        new NbdExport(Device), (NbdExport[])[new NbdExport(Device)], new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0), NbdServer.Create([new NbdExport(Device)]),
        RemoteControlServer.Create(Device), Remote(),
        new SectorOracle(new BlockTrace(new BlockGeometry(512), new PageStore(512), new TraceLog(), [], 0)),
    ];

    private static RemoteControl Remote()
    {
        var rig = new RemoteRig(Device, RemoteLinkKind.Pipes);
        return rig.ConnectAsync().GetAwaiter().GetResult();
    }

    [OneTimeTearDown]
    public static async Task Dispose()
    {
        await Directory.DisposeAsync();
        await Device.DisposeAsync();
    }

    private static IEnumerable<TestCaseData> Parameters()
    {
        var nullability = new NullabilityInfoContext();
        foreach (Type exported in typeof(AbuseDevice).Assembly.GetExportedTypes().Where(static type => !typeof(Exception).IsAssignableFrom(type)))
        {
            Type type = exported.IsGenericTypeDefinition ? exported.MakeGenericType([.. exported.GetGenericArguments().Select(static _ => typeof(string))]) : exported;
            const BindingFlags Public = BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
            IEnumerable<MethodBase> methods = type.GetMethods(Public).Where(static method => !method.IsSpecialName && !method.IsAbstract).Concat<MethodBase>(type.GetConstructors());
            methods = methods.Select(static method =>
                method is MethodInfo { IsGenericMethodDefinition: true } generic ? generic.MakeGenericMethod([.. generic.GetGenericArguments().Select(static _ => typeof(string))]) : method);
            foreach (MethodBase method in methods.Where(static method => !Array.Exists(method.GetParameters(), static one => one.ParameterType.IsByRefLike)))
            {
                foreach (ParameterInfo parameter in method.GetParameters())
                {
                    if (!parameter.ParameterType.IsValueType && !parameter.ParameterType.IsByRef && nullability.Create(parameter).WriteState == NullabilityState.NotNull)
                    {
                        string signature = string.Join(", ", method.GetParameters().Select(static one => one.ParameterType.Name));
                        yield return new TestCaseData(method, parameter.Position).SetArgDisplayNames($"{type.Name}.{method.Name}({signature}): {parameter.Name}");
                    }
                }
            }
        }
    }

    [Test]
    public void There_are_such_parameters() => Assert.That(Parameters().Count(), Is.GreaterThan(25));

    [TestCaseSource(nameof(Parameters))]
    public async Task Null_is_refused_by_name(MethodBase method, int position)
    {
        ParameterInfo[] parameters = method.GetParameters();
        object?[] arguments = [.. parameters.Select(one => one.Position == position ? null : Argument(one.ParameterType))];
        ArgumentNullException refusal = (await Assert.ThrowsAsync<ArgumentNullException>(async () =>
        {
            try
            {
                object? result = method is ConstructorInfo constructor
                    ? constructor.Invoke(arguments)
                    : method.Invoke(method.IsStatic ? null : Argument(method.DeclaringType!), arguments);
                await (result switch
                {
                    Task task => task,
                    ValueTask task => task.AsTask(),
                    ValueTask<BioResult> task => task.AsTask(),
                    ValueTask<CrashVerdict> task => task.AsTask(),
                    _ => Task.CompletedTask,
                });
            }
            catch (TargetInvocationException exception)
            {
                throw exception.InnerException!;
            }
        }))!;
        Assert.That(refusal.ParamName, Is.EqualTo(parameters[position].Name));
        Assert.That(Device.Queue.IsIdle());
    }

    /// <summary>Spans keep reflection out of these.</summary>
    [Test]
    public void Calls_with_spans_refuse_null_by_name_too()
    {
        Assert.That(() => Device.Control.PutBio(default, [], null!), Throws.ArgumentNullException.With.Property("ParamName").EqualTo("memory"));
        Assert.That(() => Device.Control.Ioctl(AbuseIoctl.GetStatus, [], null!), Throws.ArgumentNullException.With.Property("ParamName").EqualTo("memory"));
        Assert.That(Device.Queue.IsIdle());
    }

    [Test]
    public async Task Null_where_the_signature_has_a_question_mark_is_the_default()
    {
        await using AbuseDevice device = AbuseDevice.Create(new NullTarget(512), options: null);
        Assert.That(device.MaxQueue, Is.EqualTo(new AbuseDeviceOptions().MaxQueue));
        using BioChannel channel = device.Control.OpenChannel(options: null);
        using var module = new AbuseModule(options: null);
        Assert.That(module.Devices, Has.Count.EqualTo(8));
    }

    private static object? Argument(Type type) =>
        Array.Find(Valid, type.IsInstanceOfType) ?? (type.IsValueType ? Activator.CreateInstance(type) : null);
}
