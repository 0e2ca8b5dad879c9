using Abuse.Benchmarks;
using BenchmarkDotNet.Running;

if (args is ["pairs", .. var only])
{
    await Pairs.RunAsync(only.FirstOrDefault());
    return;
}

if (args is ["crash"])
{
    await Pairs.RunCrashAsync();
    return;
}

if (args is ["nbd", .. var options])
{
    NbdPairs.Run(options);
    return;
}

if (args is ["nbd-host", var path, var size])
{
    await NbdHost.RunAsync(path, size);
    return;
}

if (args is ["remote"])
{
    await RemotePairs.RunAsync();
    return;
}

if (args is ["remote-child", var device, var echo])
{
    await RemotePairs.RunChildAsync(device, echo);
    return;
}

BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
